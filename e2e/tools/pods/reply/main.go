// Command reply is what the tests of the cluster run in a pod: it answers, asks others, and takes memory on request.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

// held keeps what was allocated from the garbage collector.
var held [][]byte

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		name, _ := os.Hostname()
		fmt.Fprintf(w, "reply from %s\n", name)
	})
	http.HandleFunc("/fetch", func(w http.ResponseWriter, r *http.Request) {
		client := http.Client{Timeout: 5 * time.Second}
		response, err := client.Get(r.FormValue("url"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		w.WriteHeader(response.StatusCode)
		io.Copy(w, response.Body)
	})
	http.HandleFunc("/allocate", func(w http.ResponseWriter, r *http.Request) {
		mebibytes, err := strconv.Atoi(r.FormValue("mebibytes"))
		if err != nil || mebibytes < 0 || mebibytes > 4096 {
			http.Error(w, "mebibytes: a number up to 4096", http.StatusBadRequest)
			return
		}
		for range mebibytes {
			block := make([]byte, 1<<20)
			for i := range block {
				block[i] = 1 // a page counts against the limit once it is written
			}
			held = append(held, block)
		}
		fmt.Fprintf(w, "%d MiB held\n", len(held))
	})
	address := ":8080"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	log.Fatal(http.ListenAndServe(address, nil))
}
