using Slipway.Build.Images;
using Slipway.Build.Syntax;
using Slipway.Oci;

namespace Slipway.Engine.Images;

/// <summary>The <c>--change</c> of an import or a commit.</summary>
internal static class ConfigChanges
{
    /// <exception cref="EngineException">InvalidParameter: an instruction that cannot be meant, or that changes more than the configuration.</exception>
    public static ImageRunConfig Apply(ImageRunConfig config, IReadOnlyList<string> changes)
    {
        try
        {
            return ChangeInstructions.Apply(config, changes);
        }
        catch (DockerfileException error)
        {
            throw new EngineException(ErrorKind.InvalidParameter, error.Problem, error);
        }
    }
}
