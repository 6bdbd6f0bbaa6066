"""From verdicts to alerts and to what receivers are told: the rules, without clock, store or network.

`fingerprint` names a finding · `lifecycle` moves one alert by one verdict · `settle` does so for all alerts of a
service · `matching` reads matchers, for `silencing` and `routing` · `grouping` decides when a group is told what ·
`planning` does so for all receivers.
"""
