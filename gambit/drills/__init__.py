"""Rehearsals: every fault of the catalogue, played on simulated exchanges against a real daemon, with a report.

catalogue.py names what can go wrong, ground.py builds where it is played, oracle.py compares with the exchanges'
ledgers, the groups' modules play, runner.py runs and report.py tells.
"""
