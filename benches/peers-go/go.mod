module tapio-bench-go

go 1.19
