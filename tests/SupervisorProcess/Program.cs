using Slipway.Runtime.Supervision;

// A supervisor as a process of its own, for tests that kill it: --exec-root DIR --data-root DIR.
return SupervisorHost.Run(new SupervisorOptions(args[1], args[3]));
