"""The window: draws and asks, never computes. The only room that imports Qt."""
