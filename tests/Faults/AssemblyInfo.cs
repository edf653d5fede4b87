// Each test starts an engine of its own and compares the machine before and after: one at a time.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
