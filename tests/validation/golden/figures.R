# Golden numbers from R: Rscript figures.R writes figures.json from patients.csv.
# Debian bookworm: r-base-core r-cran-rms r-cran-proc r-cran-riskregression r-cran-modelmetrics r-cran-jsonlite
suppressMessages({library(rms); library(riskRegression); library(pROC); library(jsonlite)})
d <- read.csv("patients.csv")
version <- function(p) paste(p, packageVersion(p))
base <- paste("R", getRversion())
golden <- list()
put <- function(model, metric, value, by, note = NULL)
  golden[[model]][[metric]] <<- c(list(value = unname(value), by = by), if (!is.null(note)) list(note = note))

for (m in c("a", "b")) {
  p <- d[[m]]; y <- d$y; lp <- qlogis(p)
  v <- val.prob(p, y, pl = FALSE)
  rms_ <- paste0(version("rms"), "::val.prob")
  put(m, "auroc", v[["C (ROC)"]], rms_)
  put(m, "brier", v[["Brier"]], rms_)
  put(m, "calibration_slope", v[["Slope"]], rms_)
  put(m, "line_intercept", v[["Intercept"]], rms_, "of the line with the slope")
  put(m, "ici_lowess", v[["Eavg"]], rms_, "lowess, span 2/3, no robustness iterations")
  put(m, "e90_lowess", v[["E90"]], rms_, "lowess, span 2/3, no robustness iterations")
  put(m, "emax_lowess", v[["Emax"]], rms_, "lowess, span 2/3, no robustness iterations")
  put(m, "calibration_intercept", coef(glm(y ~ offset(lp), family = binomial))[[1]], paste0(base, ", stats::glm"))
  put(m, "log_loss", ModelMetrics::logLoss(y, p), paste0(version("ModelMetrics"), "::logLoss"))
  put(m, "observed_to_expected", sum(y) / sum(p), base)
  ipa <- Score(list(model = p), formula = y ~ 1, data = data.frame(y = y), metrics = "brier", summary = "ipa",
               se.fit = FALSE, contrasts = FALSE, null.model = TRUE)$Brier$score
  put(m, "scaled_brier", ipa$IPA[ipa$model == "model"], paste0(version("riskRegression"), "::Score, IPA"))
  # The spline of the same knots: quantiles .05 .35 .65 .95 (Harrell), as rcs(lp, 4) places them.
  fit <- lrm(y ~ rcs(lp, 4), data = data.frame(y = y, lp = lp), tol = 1e-12, eps = 1e-12, maxit = 50)
  spline <- paste0(version("rms"), "::lrm with rcs, 4 knots")
  e <- abs(p - plogis(fit$linear.predictors))
  put(m, "ici", mean(e), spline)
  put(m, "e50", unname(quantile(e, .5)), spline)
  put(m, "e90", unname(quantile(e, .9)), spline)
  put(m, "emax", max(e), spline)
  put(m, "curve", unname(plogis(predict(fit, data.frame(lp = qlogis(c(.1, .2, .3, .5, .7)))))), spline,
      "at 0.1, 0.2, 0.3, 0.5, 0.7")
  r <- roc(y, p, quiet = TRUE, direction = "<", levels = c(0, 1))
  put(m, "auroc_interval", as.numeric(ci.auc(r, method = "delong"))[c(1, 3)],
      paste0(version("pROC"), "::ci.auc, DeLong"))
}
ra <- roc(d$y, d$a, quiet = TRUE, direction = "<", levels = c(0, 1))
rb <- roc(d$y, d$b, quiet = TRUE, direction = "<", levels = c(0, 1))
t <- roc.test(ra, rb, paired = TRUE, method = "delong")
proc <- paste0(version("pROC"), "::roc.test, paired DeLong")
put("a_minus_b", "auroc", as.numeric(ra$auc - rb$auc), proc)
put("a_minus_b", "auroc_interval", as.numeric(t$conf.int), proc)
write(toJSON(golden, auto_unbox = TRUE, digits = 12, pretty = TRUE), "figures.json")
