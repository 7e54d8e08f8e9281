"""Forward-auth (nginx calls it auth_request, Envoy external authorization): a front asks, and serves by itself.

endpoint   `{prefix}/auth`: reads the original request, and says the decision in the front's codes
listener   `forward_auth.listen`: a listener for nothing but checks
"""
