"""The pictures that `transform=NAME` offers, each in the module of its name."""
