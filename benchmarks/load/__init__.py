"""What asks the proxies: many small requests, streams of bytes, and sockets that sit there."""
