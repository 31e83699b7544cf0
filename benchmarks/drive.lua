-- For wrk: asks in turn what the arguments say (method, path, body, and so on), and prints a line of JSON at the end.
local requests, last = {}, 0

function init(arguments)
   for i = 1, #arguments, 3 do
      local body = arguments[i + 2]
      requests[#requests + 1] = wrk.format(arguments[i], arguments[i + 1], nil, body ~= "" and body or nil)
   end
end

function request()
   last = last % #requests + 1
   return requests[last]
end

function done(summary, latency)
   local e = summary.errors
   print(string.format(
      'figures {"requests":%d,"bytes":%d,"seconds":%.6f,"errors":%d,"p50":%.3f,"p99":%.3f,"max":%.3f}',
      summary.requests, summary.bytes, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
