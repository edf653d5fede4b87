using Slipway.Cli.Commands;
using Slipway.Cli.Roles;

// The supervisor stays resident for as long as containers run: it loads nothing it does not need, the command line included.
return args is [SupervisorRole.Name, ..]
    ? SupervisorRole.Run(args.AsSpan(1))
    : await SlipwayCommand.InvokeAsync(args).ConfigureAwait(false);
