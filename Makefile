.PHONY: help demo local test lint build bench

help:     ## show this
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: *##/ \t/'
demo:     ## walk once through everything, offline
	go run ./local demo
local:    ## run everything offline, on http://localhost:7071
	go run ./local
test:     ## run all tests
	go test -race ./...
lint:     ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
build:    ## build bin/handler for Azure Functions, and the zip to deploy
	go run ./tools/package
bench:    ## time each layer, then the whole; writes docs/performance.md
	go test -run '^$$' -bench . -benchmem -count 6 ./functions ./internal/...
	go run ./bench -write
