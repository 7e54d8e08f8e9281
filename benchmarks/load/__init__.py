"""What asks the proxies: many small requests, streams of bytes, and sockets that sit there.

requests   each connection asks again as soon as it is answered (a closed loop)
open_loop  requests come at their times, answered or not
answers    how both see that an answer is whole
heads      what the requests say
bodies     bodies, up and down
sockets    connections that say nothing
"""
