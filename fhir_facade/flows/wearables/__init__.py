"""The stories of a wearable: connect it, keep its tokens alive, read it again and again, disconnect it."""
