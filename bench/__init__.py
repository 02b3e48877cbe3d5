"""Measurements of the product, each with a table for people and a JSON document for the rest."""
