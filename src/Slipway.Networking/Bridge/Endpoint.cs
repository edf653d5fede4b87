namespace Slipway.Networking;

/// <summary>An attached container, with the sockets that keep its ports.</summary>
internal sealed record Endpoint(EndpointInfo Info, IReadOnlyList<PortReservation> Reservations);

/// <param name="Orphans">Indexes of links to remove.</param>
/// <param name="LostPorts">Ids of endpoints with a host port that another process has.</param>
internal sealed record RestoreResult(
    IReadOnlyList<Endpoint> Endpoints, IReadOnlyList<int> Orphans, IReadOnlyList<string> LostPorts);
