"""HTTP as ASGI: reads requests for the flows, and turns their answers into pages, problems and headers."""
