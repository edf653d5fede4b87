using System.Runtime.CompilerServices;
using System.Text;
using Slipway.Api;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    public Task<LogSession> LogsAsync(string reference, LogsOptions options, CancellationToken cancellationToken)
    {
        throw new EngineException(ErrorKind.NotImplemented, "x");
    }
    private static IAsyncEnumerable<LogLine> PastLines(ContainerSnapshot container, AttachOptions options) => throw new EngineException(ErrorKind.NotImplemented, "x");
}
