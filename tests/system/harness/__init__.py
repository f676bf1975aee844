"""What the system tests stand on: the real daemon as a process, its API, and receivers that behave as told."""
