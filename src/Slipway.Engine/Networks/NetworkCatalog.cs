using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Slipway.Api.Networks;
using Slipway.Engine.Containers.Create;
using Slipway.Kernel;
using Slipway.Networking;
using Slipway.Storage;
using Slipway.Storage.State;

namespace Slipway.Engine.Networks;

/// <summary>
/// The networks of users: rows of the database, each with its bridge and rules in the kernel. The row comes first and goes last, so that the next engine
/// finds everything that an interrupted change left.
/// </summary>
internal sealed class NetworkCatalog : IAsyncDisposable
{
    private const string BridgePrefix = "br-";
    private const int BridgeDigits = 12; // an interface's name has at most 15 bytes

    private readonly ConcurrentDictionary<string, UserNetwork> _byId = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _changing = new(1);
    private readonly INetworkTable _table;
    private readonly NetworkHost _host;
    private readonly TimeProvider _time;
    private readonly IReadOnlyList<AddressPoolSource> _pools;
    private readonly NetworkInfo? _default;

    private NetworkCatalog(INetworkTable table, NetworkHost host, TimeProvider time, IReadOnlyList<AddressPoolSource> pools, NetworkInfo? common) =>
        (_table, _host, _time, _pools, _default) = (table, host, time, pools, common);

    public IEnumerable<UserNetwork> All => _byId.Values;

    /// <summary>Reads the networks of the data root, and makes in the kernel what of them is missing there.</summary>
    /// <param name="common">The default network, whose subnet and bridge others must leave alone; null where there is none.</param>
    public static async Task<NetworkCatalog> OpenAsync(
        INetworkTable table, NetworkHost host, IReadOnlyList<AddressPoolSource> pools, NetworkInfo? common, TimeProvider time, IEngineLog log, CancellationToken cancellationToken)
    {
        NetworkCatalog catalog = new(table, host, time, pools, common);
        foreach (NetworkRow row in await table.AllAsync(cancellationToken))
        {
            UserNetwork network;
            try
            {
                network = catalog.Make(row.Id, row.Name, row.Created, NetworkDocument.Parse(row.Document));
            }
            catch (JsonException exception)
            {
                throw new EngineException(ErrorKind.System, $"network {row.Name} in the state database cannot be read: {exception.Message}", exception);
            }

            catalog._byId[network.Id] = network;
            try
            {
                await network.Driver.EnsureAsync(cancellationToken);
            }
            catch (Exception exception) when (exception is NetworkException or KernelException)
            {
                // Its containers cannot start, which says so to whoever starts them; the others can.
                log.Write(EngineLogLevel.Error, $"network {network.Name} cannot be made: {exception.Message}");
            }
        }

        return catalog;
    }

    public UserNetwork? FindByName(string name) => _byId.Values.FirstOrDefault(network => network.Name == name);

    /// <summary>By id, name, or unique prefix of an id.</summary>
    /// <exception cref="EngineException">InvalidParameter: the prefix is of several.</exception>
    public UserNetwork? Find(string reference)
    {
        if (_byId.GetValueOrDefault(reference) is { } exact)
        {
            return exact;
        }

        if (FindByName(reference) is { } named)
        {
            return named;
        }

        UserNetwork[] found = reference.Length == 0 ? [] : [.. _byId.Values.Where(network => network.Id.StartsWith(reference, StringComparison.Ordinal))];
        return found.Length <= 1 ? found.FirstOrDefault() : throw NetworkErrors.Invalid($"network {reference} is ambiguous ({found.Length} matches found based on ID prefix)");
    }

    /// <exception cref="EngineException">The request cannot be met; nothing is left behind.</exception>
    public async Task<UserNetwork> CreateAsync(NetworkCreateRequest request, CancellationToken cancellationToken)
    {
        Validate(request);
        IpamRequest ipam = IpamRequest.Parse(request.IPAM);
        BridgeSettings settings = BridgeSettings.Parse(request.Options ?? []);
        await _changing.WaitAsync(cancellationToken);
        try
        {
            if (FindByName(request.Name) is not null)
            {
                throw NetworkErrors.NameInUse(request.Name);
            }

            string id = Identifiers.New();
            IPNetwork subnet = await SubnetAsync(ipam.Subnet, cancellationToken);
            string bridge = settings.BridgeName ?? BridgePrefix + id[..BridgeDigits];
            if (bridge == _default?.BridgeName || _byId.Values.Any(network => network.Document.Bridge == bridge))
            {
                throw NetworkErrors.Invalid($"bridge name {bridge} is used by another network");
            }

            NetworkDocument document = new()
            {
                Bridge = bridge,
                Subnet = subnet.ToString(),
                Gateway = (ipam.Gateway ?? DefaultSubnets.ChooseGateway(subnet, ipam.Range, [.. (ipam.AuxiliaryAddresses?.Values ?? []).Select(IPAddress.Parse)])).ToString(),
                AddressRange = ipam.Range?.ToString(),
                AuxiliaryAddresses = ipam.AuxiliaryAddresses,
                HasOwnSubnet = ipam.Subnet is not null,
                Internal = request.Internal,
                Attachable = request.Attachable,
                Options = request.Options ?? [],
                Labels = request.Labels ?? [],
                IpamOptions = request.IPAM?.Options,
            };
            UserNetwork network = Make(id, request.Name, _time.GetUtcNow(), document);
            await InsertAsync(network, cancellationToken);
            _byId[id] = network;
            return network;
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>Removes a network nobody uses, from the kernel and from the database.</summary>
    /// <exception cref="EngineException">Forbidden: containers are on it.</exception>
    public async Task RemoveAsync(UserNetwork network)
    {
        if (!network.TryRetire())
        {
            throw NetworkErrors.InUse(network);
        }

        try
        {
            await network.Driver.EnsureAsync(CancellationToken.None);
            await network.Driver.CleanupAsync(CancellationToken.None);
            await _table.DeleteAsync(network.Id, CancellationToken.None);
        }
        catch (Exception exception) when (exception is NetworkException or KernelException or StorageException)
        {
            network.Reinstate();
            throw new EngineException(ErrorKind.System, $"error while removing network: {exception.Message}", exception);
        }

        _byId.TryRemove(network.Id, out _);
        await network.Driver.DisposeAsync();
    }

    /// <summary>Takes the networks out of the kernel; the next engine makes them again.</summary>
    public async Task CleanUpAsync(CancellationToken cancellationToken)
    {
        foreach (UserNetwork network in All)
        {
            await network.Driver.EnsureAsync(cancellationToken);
            await network.Driver.CleanupAsync(cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (UserNetwork network in All)
        {
            await network.Driver.DisposeAsync();
        }

        _changing.Dispose();
    }

    private static void Validate(NetworkCreateRequest request)
    {
        if (string.IsNullOrWhiteSpace(request.Name))
        {
            throw NetworkErrors.Invalid("invalid name: " + request.Name);
        }

        if (request.Name is NamespaceModes.Bridge or NamespaceModes.Host or NamespaceModes.None or "default")
        {
            throw new EngineException(ErrorKind.Forbidden, $"operation is not permitted on predefined {request.Name} network ");
        }

        if (request.Scope is not ("" or "local"))
        {
            throw new EngineException(ErrorKind.Forbidden, "cannot create a swarm scoped network when swarm is not active");
        }

        switch (request.Driver)
        {
            case "" or NetworkService.BridgeDriver:
                break;
            case NetworkService.HostDriver or NetworkService.NullDriver:
                throw new EngineException(ErrorKind.Forbidden, $"only one instance of \"{request.Driver}\" network is allowed");
            case "overlay":
                throw new EngineException(
                    ErrorKind.Unavailable, "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.");
            default:
                throw NetworkErrors.NoSuchDriver(request.Driver);
        }

        if (request.EnableIPv6 == true || request.EnableIPv4 == false)
        {
            throw new EngineException(ErrorKind.NotImplemented, "IPv6 networks are not supported yet");
        }

        if (request.Ingress || request.ConfigOnly || request.ConfigFrom is { Network.Length: > 0 })
        {
            throw new EngineException(ErrorKind.NotImplemented, "ingress and configuration-only networks are not supported");
        }
    }

    private async Task<IPNetwork> SubnetAsync(IPNetwork? requested, CancellationToken cancellationToken)
    {
        List<IPNetwork> taken = [.. _byId.Values.Select(network => network.Document.SubnetRange)];
        if (_default is { } common)
        {
            taken.Add(common.Subnet);
        }

        if (requested is not { } subnet)
        {
            try
            {
                return await _host.ChooseSubnetAsync(_pools, taken, cancellationToken);
            }
            catch (NetworkException exception)
            {
                throw new EngineException(ErrorKind.InvalidParameter, exception.Message, exception);
            }
        }

        return taken.Any(other => DefaultSubnets.Overlap(other, subnet)) ? throw NetworkErrors.Overlaps() : subnet;
    }

    private UserNetwork Make(string id, string name, DateTimeOffset created, NetworkDocument document)
    {
        try
        {
            return new UserNetwork(id, name, created, document, new BridgeNetwork(document.ToOptions(), _time, _host));
        }
        catch (NetworkException exception)
        {
            throw NetworkErrors.Invalid(exception.Message);
        }
    }

    private async Task InsertAsync(UserNetwork network, CancellationToken cancellationToken)
    {
        try
        {
            await _table.InsertAsync(new NetworkRow(network.Id, network.Name, network.Created, network.Document.ToBytes()), cancellationToken);
        }
        catch (StorageException exception)
        {
            throw new EngineException(exception.Kind == StorageErrorKind.Conflict ? ErrorKind.Conflict : ErrorKind.System, exception.Message, exception);
        }

        try
        {
            await network.Driver.EnsureAsync(CancellationToken.None);
        }
        catch (Exception exception) when (exception is NetworkException or KernelException)
        {
            await network.Driver.CleanupAsync(CancellationToken.None);
            await network.Driver.DisposeAsync();
            await _table.DeleteAsync(network.Id, CancellationToken.None);
            throw new EngineException(
                exception is NetworkException { Kind: NetworkErrorKind.InvalidParameter } ? ErrorKind.InvalidParameter : ErrorKind.System, exception.Message, exception);
        }
    }
}
