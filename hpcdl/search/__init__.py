"""Searching for a network and a recipe: individuals in generations, each generation one job array."""
