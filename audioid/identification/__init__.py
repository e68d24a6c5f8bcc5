"""A trained model put to use: new recordings to names."""
