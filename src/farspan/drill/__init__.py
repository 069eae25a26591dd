"""What a drill proves, from what it saw: ledger, findings, assertions and reports.

Everything here is a function of the ledger. Faults are made, events put and clocks read by `cli`.
"""
