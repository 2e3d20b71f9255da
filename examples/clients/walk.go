// Reads a list to its end, using only the standard library.
//
//	go run walk.go 'https://api.example.com/users?cursor=start&limit=100'
//
// Writes each item as a line to standard output, and the number of items to standard error.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

const attempts = 5

// Problem is an answer that isn't a page (RFC 9457).
type Problem struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Restart   string `json:"restart"`
	Retryable bool   `json:"retryable"`
}

func (problem *Problem) Error() string {
	return fmt.Sprintf("%d %s: %s", problem.Status, problem.Code, problem.Detail)
}

// Page is a page in the envelope `standard`. Items keep their bytes.
type Page struct {
	Data       []json.RawMessage `json:"data"`
	Pagination struct {
		Total      *int64  `json:"total"`
		NextCursor *string `json:"nextCursor"`
		PrevCursor *string `json:"prevCursor"`
	} `json:"pagination"`
}

// ask sends one request. The duration is the wait that the server requests.
func ask(ctx context.Context, target string) (*Page, time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		page := new(Page)
		err = json.NewDecoder(answer.Body).Decode(page)
		return page, 0, err
	}
	problem := &Problem{Status: answer.StatusCode}
	switch answer.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		problem.Retryable = true
	}
	_ = json.NewDecoder(answer.Body).Decode(problem) // a proxy in front of the gateway may answer without JSON
	seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
	return nil, time.Duration(seconds) * time.Second, problem
}

// fetch returns the page of a list at a cursor, or its first page. It repeats requests that may succeed later.
func fetch(ctx context.Context, list, cursor string) (*Page, error) {
	target, err := url.Parse(list)
	if err != nil {
		return nil, err
	}
	if cursor != "" {
		query := target.Query()
		query.Set("cursor", cursor)
		target.RawQuery = query.Encode()
	}
	for attempt := 1; ; attempt++ {
		page, pause, err := ask(ctx, target.String())
		var problem *Problem
		if !errors.As(err, &problem) || !problem.Retryable || attempt == attempts {
			return page, err
		}
		if pause == 0 {
			pause = time.Second << (attempt - 1)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Items yields the items of a list to its end, or an error.
func Items(ctx context.Context, list string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		cursor := ""
		for {
			page, err := fetch(ctx, list, cursor)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, item := range page.Data {
				if !yield(item, nil) {
					return
				}
			}
			if page.Pagination.NextCursor == nil {
				return
			}
			cursor = *page.Pagination.NextCursor
		}
	}
}

func main() {
	count := 0
	var line bytes.Buffer
	for item, err := range Items(context.Background(), os.Args[1]) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			var problem *Problem
			if errors.As(err, &problem) && problem.Restart != "" {
				fmt.Fprintln(os.Stderr, "Begin again:", problem.Restart)
			}
			os.Exit(1)
		}
		line.Reset()
		if err := json.Compact(&line, item); err != nil {
			panic(err) // it was decoded before
		}
		fmt.Println(line.String())
		count++
	}
	fmt.Fprintln(os.Stderr, count, "items")
}
