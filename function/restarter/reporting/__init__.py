"""From an outcome to what callers and people see: status, sentence, advice, receipt, reply, and what is masked."""
