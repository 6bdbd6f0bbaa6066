"""The HTTP and gRPC doors: REST, receivers and pages. Translates requests to services; decides nothing."""
