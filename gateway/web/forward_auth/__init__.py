"""Forward-auth (nginx calls it auth_request, Envoy external authorization): a front asks, and serves by itself.

dialect      how each front asks, and what it takes for an answer
endpoint     `{prefix}/auth`, `{prefix}/ext_authz`: reads the original request, and says the decision
listener     `forward_auth.listen`: a listener for nothing but checks
grpc_checks  `forward_auth.grpc`: the same for Envoy, by gRPC
"""
