"""Protobuf messages of the wire formats: written from the formats' field tables, with generated classes beside."""
