// judge says of objects what kstatus, the library of Flux and kustomize, makes of their status: one JSON document a line on
// standard input, its word and its message a line on standard output.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func main() {
	documents := bufio.NewScanner(os.Stdin)
	documents.Buffer(nil, 1<<20)
	for documents.Scan() {
		var object unstructured.Unstructured
		// As a client reads it: whole numbers are not fractions.
		if err := object.UnmarshalJSON(documents.Bytes()); err != nil {
			fail(err)
		}
		result, err := status.Compute(&object)
		if err != nil {
			fail(err)
		}
		line, err := json.Marshal([]string{result.Status.String(), result.Message})
		if err != nil {
			fail(err)
		}
		fmt.Println(string(line))
	}
	if err := documents.Err(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}
