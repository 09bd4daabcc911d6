module observed.local/e2e/tools/pods

go 1.26.0
