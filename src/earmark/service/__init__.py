"""The service: REST, live sound and a page around a loaded model; `earmark serve` on the command line."""
