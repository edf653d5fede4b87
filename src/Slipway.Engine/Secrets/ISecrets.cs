using Slipway.Api.Secrets;

namespace Slipway.Engine.Secrets;

/// <summary>Secrets for containers. Errors are <see cref="EngineException"/>. Nothing here gives a value back.</summary>
public interface ISecrets
{
    /// <summary>Filters: <c>id</c>, <c>name</c> (prefixes), <c>label</c>.</summary>
    IReadOnlyList<Secret> List(Filters filters);

    /// <param name="reference">Id, name, or unique prefix of an id.</param>
    Secret Inspect(string reference);

    /// <returns>The id.</returns>
    Task<string> CreateAsync(SecretSpec spec, CancellationToken cancellationToken);

    /// <summary>Changes the labels, which is all that can be.</summary>
    /// <param name="version">The index of the version that the change was made for.</param>
    Task UpdateAsync(string reference, ulong version, SecretSpec spec, CancellationToken cancellationToken);

    /// <summary>Refused while a container has it.</summary>
    Task RemoveAsync(string reference, CancellationToken cancellationToken);
}
