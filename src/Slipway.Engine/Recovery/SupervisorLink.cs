using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Recovery;

/// <summary>The connection to the supervisor that is in use; a new one takes its place when the supervisor was lost.</summary>
internal sealed class SupervisorLink(ISupervisor first)
{
    private volatile ISupervisor _current = first;

    public ISupervisor Current => _current;

    public void Replace(ISupervisor next) => _current = next;
}
