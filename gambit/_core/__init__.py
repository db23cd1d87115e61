"""Compiled kernels: integers and C structs, no sockets, no clock but for measuring, no settings."""
