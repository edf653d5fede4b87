using Slipway.Telemetry;

namespace Slipway.Engine.Telemetry;

/// <summary>How long actions of one kind took. What failed is not counted, as in dockerd; what never happened is there with zero, so that a rate can be computed from the first on.</summary>
/// <typeparam name="TAction">Counted from 0 without gaps. Its names, in lower case, are the values of the label <c>action</c>.</typeparam>
internal sealed class ActionTimes<TAction>(string name, string help)
    where TAction : struct, Enum
{
    /// <summary>Upper bounds in seconds: those of dockerd, which are the usual ones of Prometheus' clients.</summary>
    private static readonly double[] s_bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    private readonly Dictionary<TAction, Histogram> _times = Enum.GetValues<TAction>().ToDictionary(action => action, _ => new Histogram(s_bounds));

    public void Record(TAction action, TimeSpan duration) => _times[action].Record(duration);

    public void Write(PrometheusText text)
    {
        text.Family(name, "histogram", help);
        foreach ((TAction action, Histogram times) in _times)
        {
            times.Write(text, name, ("action", action.ToString().ToLowerInvariant()));
        }
    }
}
