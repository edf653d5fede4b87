namespace Slipway.Api.Containers;

/// <summary>POST /containers/{id}/update: what is zero, empty or null stays as it is.</summary>
public sealed record ContainerUpdateRequest : Resources
{
    public RestartPolicy RestartPolicy { get; set; } = new();
}

/// <param name="Warnings">Null where there are none.</param>
public sealed record ContainerUpdateResponse(IReadOnlyList<string>? Warnings);
