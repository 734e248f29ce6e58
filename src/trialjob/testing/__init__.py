"""Shipped for those who write adapters: fakes, and a contract suite for each port."""
