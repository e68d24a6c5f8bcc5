"""Runs that differ in the seed alone, trained as one: their networks are groups of channels of one network."""
