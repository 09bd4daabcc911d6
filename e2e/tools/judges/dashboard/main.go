// dashboard judges dashboards by Grafana's own model: one JSON document a line on standard input, one refusal a line on
// standard output, with the number of the document from 1.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func judge(document []byte) error {
	var model dashboard.Dashboard
	// Without an error the answer is a list of none, which is not nil.
	if err := model.UnmarshalJSONStrict(document); err != nil && err.Error() != "" {
		return err
	}
	return model.Validate()
}

func main() {
	plugins.RegisterDefaultPlugins()
	documents := bufio.NewReader(os.Stdin)
	for number := 1; ; number++ {
		document, err := documents.ReadBytes('\n')
		if document = bytes.TrimSpace(document); len(document) > 0 {
			if refusal := judge(document); refusal != nil {
				fmt.Printf("%d: %q\n", number, refusal.Error())
			}
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
}
