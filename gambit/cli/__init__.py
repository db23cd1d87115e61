"""The command line: each module parses the words of one command and calls one function.

Importing any of it costs click and the standard library only; what a command needs is imported when it runs.
"""
