// A worker of a study in Go, with nothing but its own library; as many as you like may run at once, anywhere:
//
//	TOKEN=trialjob_… go run worker.go https://tuning.example.com parabola-3 worker-1
//
// The id of a worker is the same again after a crash, so that it is given its trial again.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

type object = map[string]any

type suggestions struct {
	Over        bool
	Suggestions []struct {
		Trial      int
		Parameters struct{ Rate float64 }
	}
}

type worker struct{ address, study, id string }

// Each call may be made again when its answer was lost; the key is for what makes the study.
func (w worker) ask(path string, body object, answer any) {
	data, err := json.Marshal(body)
	if err != nil {
		log.Fatal(err)
	}
	for wait := time.Second; ; wait *= 2 {
		status, told, err := w.post(path, data)
		if err == nil && status < 300 {
			if err := json.Unmarshal(told, answer); err != nil {
				log.Fatal(err)
			}
			return
		}
		if err == nil && status != 429 && status < 500 {
			log.Fatalf("%d: %s", status, told)
		}
		if wait > time.Minute {
			log.Fatalf("%d: %s %v", status, told, err)
		}
		time.Sleep(wait)
	}
}

func (w worker) post(path string, data []byte) (int, []byte, error) {
	request, err := http.NewRequest("POST", w.address+"/v1/studies"+path, bytes.NewReader(data))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("TOKEN"))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", w.study)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	told, err := io.ReadAll(answer.Body)
	return answer.StatusCode, told, err
}

// In place of your training; false: it was stopped.
func (w worker) train(trial int, rate float64) bool {
	for step := 1; step <= 3; step++ {
		loss := (rate-0.3)*(rate-0.3) + 1/float64(step)
		var told struct{ Stop bool }
		w.ask(fmt.Sprintf("/%s/trials/%d/reports", w.study, trial),
			object{"client_id": w.id, "step": step, "metrics": object{"loss": loss}}, &told)
		if told.Stop {
			return false
		}
	}
	return true
}

func main() {
	if len(os.Args) < 4 {
		log.Fatal("worker ADDRESS STUDY WORKER [TRIALS]")
	}
	w, trials := worker{os.Args[1], os.Args[2], os.Args[3]}, 20
	if len(os.Args) > 4 {
		trials, _ = strconv.Atoi(os.Args[4])
	}
	var told object
	w.ask("", object{"name": w.study, "metric": "loss", "mode": "min", // the first to come makes it
		"space":  object{"rate": object{"type": "uniform", "lower": 0, "upper": 1}},
		"limits": object{"max_trials": trials, "max_concurrent_trials": 2}}, &told)
	for {
		var asked suggestions
		w.ask("/"+w.study+"/suggestions", object{"client_id": w.id}, &asked)
		if asked.Over {
			return
		}
		for _, each := range asked.Suggestions {
			if w.train(each.Trial, each.Parameters.Rate) {
				w.ask(fmt.Sprintf("/%s/trials/%d/complete", w.study, each.Trial), object{"client_id": w.id}, &told)
				fmt.Println(told["trial"], told["status"], told["score"])
			}
		}
		if len(asked.Suggestions) == 0 {
			time.Sleep(5 * time.Second) // the others have as many as may be out at once
		}
	}
}
