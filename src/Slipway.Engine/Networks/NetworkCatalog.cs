using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Slipway.Api.Networks;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Networks.Types;
using Slipway.Kernel;
using Slipway.Networking;
using Slipway.Storage;
using Slipway.Storage.State;

namespace Slipway.Engine.Networks;

/// <summary>
/// The networks of users: rows of the database, each with what its driver makes of it in the kernel. The row comes first and goes last, so that the next engine
/// finds everything that an interrupted change left.
/// </summary>
internal sealed class NetworkCatalog : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, UserNetwork> _byId = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _changing = new(1);
    private readonly INetworkTable _table;
    private readonly NetworkHost _host;
    private readonly NetworkTypes _types;
    private readonly TimeProvider _time;
    private readonly EngineOptions _options;
    private readonly NetworkInfo? _default;

    private NetworkCatalog(INetworkTable table, NetworkHost host, NetworkTypes types, TimeProvider time, EngineOptions options, NetworkInfo? common) =>
        (_table, _host, _types, _time, _options, _default) = (table, host, types, time, options, common);

    public IEnumerable<UserNetwork> All => _byId.Values;

    /// <summary>Reads the networks of the data root, and makes in the kernel what of them is missing there.</summary>
    /// <param name="common">The default network, whose subnet others must leave alone; null where there is none.</param>
    public static async Task<NetworkCatalog> OpenAsync(
        INetworkTable table,
        NetworkHost host,
        NetworkTypes types,
        EngineOptions options,
        NetworkInfo? common,
        TimeProvider time,
        IEngineLog log,
        CancellationToken cancellationToken)
    {
        NetworkCatalog catalog = new(table, host, types, time, options, common);
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
        INetworkType type = _types.Find(request.Driver);
        Dictionary<string, string> options = NetworkFamilies.WithDefaults(request.Options, _options.NetworkDefaults.GetValueOrDefault(type.Name));
        if (_options.Antispoof && type.Name == NetworkTypes.Bridge)
        {
            options.TryAdd(BridgeSettings.AntispoofOption, "true");
        }

        NetworkFamilies families = NetworkFamilies.Choose(request.EnableIPv4, request.EnableIPv6, options);
        IpamRequest ipam = IpamRequest.Parse(request.IPAM, families.Ipv6);
        await _changing.WaitAsync(cancellationToken);
        try
        {
            if (FindByName(request.Name) is not null)
            {
                throw NetworkErrors.NameInUse(request.Name);
            }

            string id = Identifiers.New();
            NetworkDocument document = new()
            {
                Driver = type.Name,
                Ipv4 = families.Ipv4 ? await SubnetAsync(ipam.Ipv4, AddressFamily.InterNetwork, type, cancellationToken) : null,
                Ipv6 = families.Ipv6 ? await SubnetAsync(ipam.Ipv6, AddressFamily.InterNetworkV6, type, cancellationToken) : null,
                Internal = request.Internal,
                Attachable = request.Attachable,
                Options = options,
                Labels = request.Labels ?? [],
                IpamOptions = request.IPAM?.Options,
            };
            document = type.Complete(id, document, [.. _byId.Values]);
            return type.Shared is { } shared
                ? await shared.CreateAsync(id, request.Name, document, agreed => AddAsync(id, request.Name, _time.GetUtcNow(), agreed, cancellationToken), cancellationToken)
                : await AddAsync(id, request.Name, _time.GetUtcNow(), document, cancellationToken);
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>Makes a network here that another engine made there.</summary>
    /// <exception cref="EngineException">Conflict, Forbidden: a network of this engine has its name or addresses. InvalidParameter, System: it cannot be made.</exception>
    public async Task<UserNetwork> AdoptAsync(string id, string name, DateTimeOffset created, NetworkDocument document, CancellationToken cancellationToken)
    {
        ValidateName(name);
        await _changing.WaitAsync(cancellationToken);
        try
        {
            if (FindByName(name) is not null)
            {
                throw NetworkErrors.NameInUse(name);
            }

            return document.Subnets.Any(subnet => Taken().Any(other => DefaultSubnets.Overlap(other.Range, subnet.Range)))
                ? throw NetworkErrors.Overlaps()
                : await AddAsync(id, name, created, document, cancellationToken);
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>Removes a network nobody uses, from the kernel and from the database, and from the engines that have it too.</summary>
    /// <exception cref="EngineException">Forbidden: containers are on it.</exception>
    public async Task RemoveAsync(UserNetwork network)
    {
        if (network.Type.Shared is not { } shared)
        {
            await RemoveHereAsync(network);
            return;
        }

        if (await shared.IsUsedElsewhereAsync(network.Id))
        {
            throw NetworkErrors.InUse(network);
        }

        await RemoveHereAsync(network);
        await shared.RemovedAsync(network.Id);
    }

    /// <summary>Removes a network from this engine.</summary>
    /// <exception cref="EngineException">Forbidden: containers are on it here.</exception>
    public async Task RemoveHereAsync(UserNetwork network)
    {
        if (!network.TryRetire())
        {
            throw NetworkErrors.InUse(network);
        }

        try
        {
            await network.Driver.RetireAsync(CancellationToken.None);
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
            await network.Driver.RetireAsync(cancellationToken);
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

    private static void ValidateName(string name)
    {
        if (string.IsNullOrWhiteSpace(name))
        {
            throw NetworkErrors.Invalid("invalid name: " + name);
        }

        if (name is NamespaceModes.Bridge or NamespaceModes.Host or NamespaceModes.None or "default")
        {
            throw new EngineException(ErrorKind.Forbidden, $"operation is not permitted on predefined {name} network ");
        }
    }

    private static void Validate(NetworkCreateRequest request)
    {
        ValidateName(request.Name);
        if (request.Scope is not ("" or "local") && (request.Scope != "swarm" || request.Driver != NetworkTypes.Overlay))
        {
            throw new EngineException(ErrorKind.Forbidden, "cannot create a swarm scoped network when swarm is not active");
        }

        if (request.Ingress || request.ConfigOnly || request.ConfigFrom is { Network.Length: > 0 })
        {
            throw new EngineException(ErrorKind.NotImplemented, "ingress and configuration-only networks are not supported");
        }
    }

    private List<OccupiedRange> Taken() =>
    [
        .. _byId.Values.SelectMany(network => network.Document.Subnets.Select(subnet => new OccupiedRange(subnet.Range, $"network {network.Name}"))),
        .. (_default?.Subnets ?? []).Select(subnet => new OccupiedRange(subnet, $"network {NamespaceModes.Bridge}")),
    ];

    private async Task<NetworkSubnet> SubnetAsync(SubnetRequest? requested, AddressFamily family, INetworkType type, CancellationToken cancellationToken)
    {
        List<OccupiedRange> taken = Taken();
        IPNetwork subnet = requested?.Subnet ?? await ChooseAsync((family == AddressFamily.InterNetwork ? type.AddressPools : null) ?? _options.AddressPools, taken, family, cancellationToken);
        if (taken.Any(other => DefaultSubnets.Overlap(other.Range, subnet)))
        {
            throw NetworkErrors.Overlaps();
        }

        IPAddress[] reserved = [.. (requested?.AuxiliaryAddresses?.Values ?? []).Select(IPAddress.Parse)];
        return new NetworkSubnet
        {
            Subnet = subnet.ToString(),
            Gateway = (requested?.Gateway ?? DefaultSubnets.ChooseGateway(subnet, requested?.Range, reserved)).ToString(),
            AddressRange = requested?.Range?.ToString(),
            AuxiliaryAddresses = requested?.AuxiliaryAddresses,
            IsOwn = requested is not null,
        };
    }

    private async Task<IPNetwork> ChooseAsync(IReadOnlyList<AddressPoolSource> pools, IReadOnlyCollection<OccupiedRange> taken, AddressFamily family, CancellationToken cancellationToken)
    {
        try
        {
            return await _host.ChooseSubnetAsync(pools, taken, family, cancellationToken);
        }
        catch (NetworkException exception)
        {
            throw new EngineException(ErrorKind.InvalidParameter, exception.Message, exception);
        }
    }

    private async Task<UserNetwork> AddAsync(string id, string name, DateTimeOffset created, NetworkDocument document, CancellationToken cancellationToken)
    {
        UserNetwork network = Make(id, name, created, document);
        await InsertAsync(network, cancellationToken);
        _byId[id] = network;
        return network;
    }

    private UserNetwork Make(string id, string name, DateTimeOffset created, NetworkDocument document)
    {
        try
        {
            INetworkType type = _types.Find(document.Driver);
            return new UserNetwork(id, name, created, document, type, type.Open(id, document));
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
