using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.Requirements;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Secrets;
using Slipway.Engine.Telemetry;
using Slipway.Oci;
using Slipway.Runtime.Confinement;
using Slipway.Storage;
using Slipway.Storage.Images;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    /// <summary>A row and a name; nothing is mounted or started.</summary>
    public async Task<ContainerCreateResponse> CreateAsync(ContainerCreate create, CancellationToken cancellationToken)
    {
        long begin = _services.Metrics.Begin();
        ContainerCreateRequest request = create.Request;
        if (request.Image.Length == 0)
        {
            throw ContainerErrors.Invalid("config cannot be empty in order to create a container");
        }

        HostConfig hostConfig = HostConfigDefaults.Apply(request.HostConfig, _services.Cgroups.Hierarchy.Mode, DefaultNetwork, DefaultLog, _services.Options.Defaults);
        hostConfig.NetworkMode = NetworkName(hostConfig.NetworkMode);
        Validate(request, hostConfig);
        Dictionary<string, EndpointSettings?> endpoints = Endpoints(request.NetworkingConfig, hostConfig);
        string? givenName = string.IsNullOrEmpty(create.Name) ? null : ContainerNames.Parse(create.Name);
        hostConfig.Requires = Requirement.Requested(request);
        ValidateRequirements(hostConfig, givenName);
        hostConfig.Secrets = SecretMounts.Requested(request, _services.Secrets);
        Image image = FindImage(request.Image, create.Platform);
        _services.Data.Ledger.Touch(image.Id);
        ContainerConfig config = ImageDefaults.Merge(request, image.Config.Config);
        ConfigValidation.Validate(config);
        _ = PortSpecs.Requests(config, hostConfig);
        HostConfigValidation.RequireHealthCheck(config, hostConfig.RestartPolicy);
        string id = Identifiers.New();
        ResolveSharedNamespaces(hostConfig);
        _links.Register(hostConfig);
        config.Hostname = Hostname(config, hostConfig, id);
        ContainerSnapshot snapshot = new()
        {
            Id = id,
            Name = ReserveName(givenName, id),
            Created = Now,
            ImageId = image.Id.ToString(),
            Config = config,
            HostConfig = hostConfig,
            Mounts = [],
            RequestedEndpoints = endpoints,
            State = new RunState(),
        };
        try
        {
            snapshot = snapshot with { Mounts = await CreateMountsAsync(snapshot, image, request.Judged, cancellationToken) };
            if (SecretMounts.Destinations(hostConfig).FirstOrDefault(place => snapshot.Mounts.Any(mount => mount.Destination == place)) is { } taken)
            {
                throw ContainerErrors.Invalid($"Duplicate mount point: {taken}");
            }

            await _services.Data.Containers.InsertAsync(ContainerDocuments.ToRow(snapshot), cancellationToken);
        }
        catch (Exception exception)
        {
            await _services.Volumes.ReleaseAsync(snapshot.Mounts, id, removeAnonymous: true);
            _index.Release(snapshot.Name, id);
            throw exception is StorageException storage ? ContainerErrors.From(storage) : exception;
        }

        _index.Add(new Container(snapshot));
        _events.Publish(snapshot, "create");
        _services.Metrics.Done(ContainerAction.Create, begin);
        return new ContainerCreateResponse(id, [.. PlatformWarnings(image, create.Platform), .. _services.Limits.Discard(SpecResources.Build(hostConfig, [])).Warnings]);
    }

    /// <summary>An image that this host cannot run is for those who have an emulator for it; who did not ask for one is told.</summary>
    private static IEnumerable<string> PlatformWarnings(Image image, string? requested) =>
        string.IsNullOrEmpty(requested) && !PlatformPreference.Host.Accepts(image.Config.Platform)
            ? [$"The requested image's platform ({image.Config.Platform}) does not match the detected host platform ({PlatformPreference.Host}) and no specific platform was requested"]
            : [];

    private LogConfig DefaultLog => new() { Type = _services.Options.LogDriver, Config = new(_services.Options.LogDriverOptions) };

    /// <summary>As dockerd without a bridge: containers that name no network get none.</summary>
    private string DefaultNetwork => _services.Bridge is null ? NamespaceModes.None : NamespaceModes.Bridge;

    /// <summary>
    /// Of the things a request names only a missing image is "not found": the docker CLI takes any 404 here for that, and would pull
    /// the image and ask again.
    /// </summary>
    private void Validate(ContainerCreateRequest request, HostConfig hostConfig)
    {
        ConfigValidation.Validate(request);
        HostConfigValidation.Validate(request, hostConfig, _services.Options.Runtimes);
        if (_services.Remap is not null)
        {
            NamespaceModes.ValidateRemapped(hostConfig);
        }

        ResourceValidation.Validate(hostConfig, _host.OnlineCpus, _host.OnlineNodes);
        ResourceValidation.Require(hostConfig, _services.Limits);
        SecurityOptions security = SecurityOptions.Parse(hostConfig.SecurityOpt);
        try
        {
            CapabilityPolicy.Validate(hostConfig.CapAdd ?? [], hostConfig.CapDrop ?? []);
            if (security.Seccomp is { } profile and not (SecurityOptions.Unconfined or SecurityOptions.BuiltIn))
            {
                SeccompProfileReader.Parse(profile);
            }
        }
        catch (ConfinementException exception)
        {
            throw ContainerErrors.Invalid(exception.Message);
        }

        if (_services.Bridge is null && hostConfig.NetworkMode == NamespaceModes.Bridge)
        {
            throw ContainerErrors.Invalid("network bridge not found: this engine runs with --bridge=none");
        }
    }

    private Image FindImage(string name, string? platform)
    {
        try
        {
            PlatformPreference? wanted = string.IsNullOrEmpty(platform) ? null : new PlatformPreference(Platform.Parse(platform));
            Image image = (wanted is null ? null : _services.Data.Images.Find(name, wanted.Wanted)) ?? _services.Data.Images.Get(name);

            // The CLI asks for a platform where it wants just that one; it then pulls.
            return wanted is null || wanted.Accepts(image.Config.Platform)
                ? image
                : throw new EngineException(
                    ErrorKind.NotFound,
                    $"image with reference {name} was found but its platform ({image.Config.Platform}) does not match the specified platform ({wanted})");
        }
        catch (OciException exception)
        {
            throw ContainerErrors.Invalid(exception.Message);
        }
        catch (StorageException exception)
        {
            throw ContainerErrors.From(exception);
        }
    }

    /// <summary>Replaces references to other containers by their ids, which stay when names change.</summary>
    private void ResolveSharedNamespaces(HostConfig hostConfig)
    {
        hostConfig.NetworkMode = Resolve(hostConfig.NetworkMode);
        hostConfig.PidMode = Resolve(hostConfig.PidMode);
        hostConfig.IpcMode = Resolve(hostConfig.IpcMode);

        string Resolve(string mode)
        {
            try
            {
                return NamespaceModes.SharedWith(mode) is { } reference ? NamespaceModes.OfContainer(_index.Resolve(reference).Id) : mode;
            }
            catch (EngineException exception) when (exception.Kind == ErrorKind.NotFound)
            {
                throw ContainerErrors.Invalid(exception.Message);
            }
        }
    }

    private string Hostname(ContainerConfig config, HostConfig hostConfig, string id) =>
        config.Hostname.Length > 0 ? config.Hostname
        : hostConfig.NetworkMode == NamespaceModes.Host || hostConfig.UTSMode == NamespaceModes.Host ? Environment.MachineName
        : NamespaceModes.SharedWith(hostConfig.NetworkMode) is { } other ? _index.Find(other)?.Snapshot.Config.Hostname ?? id[..12]
        : id[..12];

    private string ReserveName(string? given, string id)
    {
        if (given is not null)
        {
            _index.Reserve(given, id);
            return given;
        }

        for (int attempt = 0; ; attempt++)
        {
            string name = ContainerNames.Random(attempt);
            if (_index.TryReserve(name, id))
            {
                return name;
            }
        }
    }

    /// <summary>The name of a network that may be given by its id. Not "not found" where there is none: the docker CLI would take it for the image.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    private string NetworkName(string reference) =>
        NamespaceModes.IsPredefined(reference) ? reference
        : (_services.Networks.Find(reference) ?? throw ContainerErrors.Invalid($"network {reference} not found")).Name;

    /// <summary>The networks a container is to have, with what the request says of each.</summary>
    private Dictionary<string, EndpointSettings?> Endpoints(NetworkingConfig? networking, HostConfig hostConfig)
    {
        if (NamespaceModes.SharedWith(hostConfig.NetworkMode) is not null)
        {
            return [];
        }

        Dictionary<string, EndpointSettings?> endpoints = [];
        foreach ((string reference, EndpointSettings? settings) in networking?.EndpointsConfig ?? [])
        {
            string name = reference == "default" ? DefaultNetwork : NetworkName(reference);
            EndpointValidation.Validate(name, _services.Networks.FindByName(name), settings);
            endpoints[name] = Requested(settings);
        }

        endpoints.TryAdd(hostConfig.NetworkMode, new EndpointSettings());
        return hostConfig.NetworkMode is NamespaceModes.Host or NamespaceModes.None && endpoints.Count > 1
            ? throw ContainerErrors.Invalid($"conflicting options: cannot connect a container of network {hostConfig.NetworkMode} to others")
            : endpoints;
    }
}
