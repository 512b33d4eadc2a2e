"""Deploys with batches in flight: what other versions put on the wire and into the ledger, recorded."""
