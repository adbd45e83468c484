"""What OMS is told and what it answers: calls are described and answers read purely; `transport` is the only I/O."""
