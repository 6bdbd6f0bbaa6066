"""A small web shop's checkout service: real work, made-up customers."""
