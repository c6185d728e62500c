local parts = {}
for i = 1, 55000 do parts[i] = string.format("%.15f", i / 7) end
wrk.method = "POST"
wrk.body = "[" .. table.concat(parts, ",") .. "]"
wrk.headers["Content-Type"] = "application/json"
