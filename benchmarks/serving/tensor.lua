-- The protocol of MLServer, whose batching understands nothing else
wrk.method = "POST"
wrk.body = '{"inputs": [{"name": "values", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]}'
wrk.headers["Content-Type"] = "application/json"
