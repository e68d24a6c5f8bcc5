"""Which settings suit each picture best, by validation, before the pictures are compared."""
