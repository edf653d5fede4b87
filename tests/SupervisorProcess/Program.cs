using Slipway.Runtime.Supervision;

// A supervisor as a process of its own, for tests that kill it: [supervisor] --exec-root DIR --data-root DIR.
return SupervisorHost.Run(new SupervisorOptions(args[^3], args[^1]));
